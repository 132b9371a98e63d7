-- KEYS[1]: the index, a sorted set of its members by when each expires: in ms, by the server's clock. ARGV[1]: whether
-- replicas are waited for, 1 or 0.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_text = string.format('%.0f', now)
