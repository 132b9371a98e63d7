-- KEYS[1]: the key. ARGV[1]: the value that is expected there.
local found = redis.call('GET', KEYS[1])
if not found then
    return 0
end
if found ~= ARGV[1] then
    return {found, redis.call('PTTL', KEYS[1])}
end
