-- ARGV[3]: the time to live in ms.
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
