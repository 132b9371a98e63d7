-- ARGV[2]: the value that is expected there.
if found ~= ARGV[2] then
    return bring()
end
