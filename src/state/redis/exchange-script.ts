/**
 * One exchange of a proxy with the others, as one script: all of it is applied, or
 * nothing. KEYS are the proxies, the number of this proxy's last exchange, and one
 * for each entry; ARGV are the id, the number of this exchange, the milliseconds
 * after which a silent proxy counts as gone, and five values for each entry.
 *
 * An entry that meets a key of another type answers with the error; the others are
 * applied. An exchange whose answer was lost is sent again under its number, and
 * then changes nothing twice. Times are those of Redis, so clocks need not agree.
 *
 * `share`: `cap` is what the proxy may reach until it has the answer, and stays leased
 * until then. What is free is leased in even parts to those that use the key. One
 * that comes new gets its part although others may have leased it still.
 */
export const EXCHANGE_SCRIPT = `
local id, number, silence = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local known = redis.call('ZSCORE', KEYS[1], id)
redis.call('ZADD', KEYS[1], now, id)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - silence)
redis.call('PEXPIRE', KEYS[1], 86400000)
local alive, proxies = {}, 0
for _, who in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  alive[who] = true
  proxies = proxies + 1
end
local first = number > (tonumber(redis.call('GET', KEYS[2]) or '0') or 0)
if first then redis.call('SET', KEYS[2], number, 'PX', 3600000) end

local function share(key, used, cap, limit)
  used, cap, limit = tonumber(used), tonumber(cap), tonumber(limit)
  local fields = redis.call('HGETALL', key)
  local leased, elsewhere, users, isNew = 0, 0, 1, true
  for at = 1, #fields, 2 do
    local who = fields[at]
    local theirs, lease = string.match(fields[at + 1], '^(%d+) (%d+)$')
    if who == id then
      isNew = false
    elseif alive[who] and theirs then
      elsewhere = elsewhere + tonumber(theirs)
      leased = leased + tonumber(lease)
      if tonumber(theirs) > 0 then users = users + 1 end
    else
      redis.call('HDEL', key, who)
    end
  end
  local free = math.max(0, limit - elsewhere - used)
  local most = math.max(cap, limit - leased)
  if isNew then most = math.max(limit - leased, used + math.ceil(free / users)) end
  local lease = math.max(used, math.min(used + math.ceil(free / users), most))
  if used == 0 then
    redis.call('HDEL', key, id)
  else
    redis.call('HSET', key, id, string.format('%d %d', used, math.max(lease, cap)))
    redis.call('PEXPIRE', key, 60000)
  end
  return {lease, elsewhere}
end

local function spend(key, spent, rate, burst)
  spent, rate, burst = tonumber(spent), tonumber(rate), tonumber(burst)
  local fields = redis.call('HGETALL', key)
  local tokens, at, users = burst, now, 1
  for i = 1, #fields, 2 do
    local name, value = fields[i], tonumber(fields[i + 1])
    if name == 't' then tokens = value or burst
    elseif name == 'at' then at = value or now
    elseif name ~= id then
      if value and alive[name] and now - value < 2000 then users = users + 1
      else redis.call('HDEL', key, name) end
    end
  end
  tokens = math.min(burst, tokens + math.max(0, now - at) * rate / 1000)
  if first then tokens = math.max(-burst, tokens - spent) end
  redis.call('HSET', key, 't', string.format('%.17g', tokens), 'at', now, id, now)
  redis.call('PEXPIRE', key, math.ceil(2000 + 1000 * burst / rate))
  return {string.format('%.17g', tokens), users}
end

local function use(key, owner, machine, mine, lasts)
  local field = machine .. ' ' .. owner
  local parts = key .. ':parts'
  local before = tonumber(redis.call('HGET', parts, field) or '0') or 0
  local part = math.max(before, tonumber(mine))
  if part > before then
    redis.call('HSET', parts, field, string.format('%.0f', part))
    redis.call('HINCRBY', key, owner, string.format('%.0f', part - before))
    redis.call('PEXPIRE', parts, lasts)
    redis.call('PEXPIRE', key, lasts)
  end
  local total = tonumber(redis.call('HGET', key, owner) or '0') or 0
  return {string.format('%.0f', math.max(0, total - part)), ''}
end

local function scan(key, cursor, count)
  return redis.call('HSCAN', key, cursor, 'COUNT', count)
end

local function tell(key, pool, session, member, most)
  redis.call('XADD', key, 'MAXLEN', '~', most, '*', 'p', pool, 's', session, 'm', member)
  redis.call('PEXPIRE', key, 86400000)
  return {'', ''}
end

local function hear(key, after, count)
  local last, lines = after, {}
  for _, line in ipairs(redis.call('XRANGE', key, '(' .. after, '+', 'COUNT', count)) do
    last = line[1]
    local fields = {}
    for at = 1, #line[2], 2 do fields[line[2][at]] = line[2][at + 1] end
    lines[#lines + 1] = fields.p or ''
    lines[#lines + 1] = fields.s or ''
    lines[#lines + 1] = fields.m or ''
    lines[#lines + 1] = tostring(math.max(0, now - (tonumber(string.match(last, '^%d+')) or now)))
  end
  return {last, lines}
end

local kinds = { share = share, spend = spend, use = use, scan = scan, tell = tell, hear = hear }
local answers = {}
for at = 3, #KEYS do
  local from = 4 + (at - 3) * 5
  local ok, answer = pcall(kinds[ARGV[from]], KEYS[at], unpack(ARGV, from + 1, from + 4))
  if not ok and type(answer) == 'table' then answer = answer.err end
  if not ok then answer = {'error', tostring(answer)} end
  answers[at - 2] = answer
end
return {proxies, known and 1 or 0, answers}
`;
