-- KEYS[1]: the key. ARGV[1]: whether replicas are waited for, 1 or 0.
local found = redis.call('GET', KEYS[1])
if not found then
    return 0
end
local function bring()
    local pttl = redis.call('PTTL', KEYS[1])
    if ARGV[1] == '1' and pttl > 0 then
        -- From version 7.2 on, WAIT waits for the last command of the connection that wrote: this one does, and changes
        -- nothing.
        redis.call('PEXPIRE', KEYS[1], pttl)
    end
    return {found, pttl}
end
