-- ARGV[3]: the value to store. ARGV[4]: its time to live in ms.
local set = redis.pcall('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
if set.err and string.find(set.err, 'OOM', 1, true) and #ARGV[3] <= #found then
    -- A value that takes no more room than the one before it fits a full server too: the end of a session always works.
    -- A server lets a script finish once it has written, and this write needs no memory.
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
    set = redis.pcall('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
end
if set.err then
    return set
end
return 1
