-- wrk .. URL -- PATH FILE: asks for PATH with each line of FILE as the Cookie header in turn; none where the line is empty.
local requests, count, last = {}, 0, 0

function init(args)
    for cookies in io.lines(args[2]) do
        count = count + 1
        local headers = {["Host"] = wrk.headers["Host"], ["User-Agent"] = "bench"}
        if cookies ~= "" then
            headers["Cookie"] = cookies
        end
        requests[count] = wrk.format("GET", args[1], headers)
    end
end

function request()
    last = last % count + 1
    return requests[last]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        'FIGURES {"requests":%d,"micros":%d,"p50":%f,"p90":%f,"p99":%f,"refused":%d,"broken":%d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(90), latency:percentile(99),
        errors.status, errors.connect + errors.read + errors.write + errors.timeout
    ))
end
