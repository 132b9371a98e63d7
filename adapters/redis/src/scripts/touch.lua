-- ARGV[2]: the time to live in ms.
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
