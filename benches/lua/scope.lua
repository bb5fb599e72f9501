-- What the filters ask about a request; first: is it the application's, and should it be pinned?
local current = "v2-0-0"
local routes = { ["2.0.0"] = "v2-0-0", ["1.4.2"] = "v1-4-2" }
local hosts = { ["shop.example.com"] = true }
local paths = { "/api/", "/assets/", "/shop/" }
local unpinned = { "/version.json", "/sw.js" }

local function is_below(path, prefixes)
  for _, prefix in ipairs(prefixes) do
    if path:sub(1, #prefix) == prefix then return true end
  end
  return false
end

local function is_ours(headers)
  return hosts[headers:get(":authority"):match("^[^:]*")] ~= nil and is_below(headers:get(":path"), paths)
end

local function is_pinned(headers)
  return not is_below(headers:get(":path"), unpinned)
end

local function is_navigation(headers)
  return headers:get("sec-fetch-mode") == "navigate" and headers:get("sec-fetch-dest") == "document"
end

local function pin_of(headers)
  local version
  for cookie in (headers:get("cookie") or ""):gmatch("[^;]+") do
    version = version or cookie:match("^%s*__Host%-release=(.*)$")
  end
  return version
end

-- The answer is a separate call of this script: what it needs to know is kept with the stream.
local function keep(handle, name)
  handle:streamInfo():dynamicMetadata():set("lua", name, true)
end

local function kept(handle)
  return handle:streamInfo():dynamicMetadata():get("lua") or {}
end
