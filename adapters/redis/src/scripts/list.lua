-- ARGV[2]: how many members at most.
-- What has expired is not listed, also where the server takes no writes.
redis.pcall('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_text)
local pttl = redis.call('PTTL', KEYS[1])
if ARGV[1] == '1' and pttl > 0 then
    -- See look.lua.
    redis.call('PEXPIRE', KEYS[1], pttl)
end
local alive = '(' .. now_text
return {
    redis.call('ZCOUNT', KEYS[1], alive, '+inf'),
    redis.call('ZRANGEBYSCORE', KEYS[1], alive, '+inf', 'LIMIT', 0, ARGV[2]),
}
