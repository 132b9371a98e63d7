-- ARGV[2]: the member's time to live in ms. ARGV[3]: the member.
-- First what a server that is full refuses: a script that has written is let finish.
redis.call('ZADD', KEYS[1], 'GT', string.format('%.0f', now + ARGV[2]), ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_text)
-- The set lives as long as the last of its members, and this is written in any case: see look.lua. Servers may tell of a
-- large score with an exponent, which no time may have.
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', tonumber(last)))
return 1
