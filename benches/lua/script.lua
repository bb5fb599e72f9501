-- A script, pinned by its path or its query; a page in its place becomes 404.
local function version_of(path)
  return path:match("^/assets/v%-([%w._+-]+)/") or path:match("[?&]dpl=([%w._+-]+)")
end

function envoy_on_request(handle)
  local headers = handle:headers()
  if not is_ours(headers) then return end
  if not is_pinned(headers) then return headers:replace("x-release", current) end
  local version = headers:get("x-bundle-version") or version_of(headers:get(":path"))
  headers:replace("x-release", version and routes[version] or current)
  if headers:get("sec-fetch-dest") == "script" then keep(handle, "asset") end
end

function envoy_on_response(handle)
  if not kept(handle).asset then return end
  local headers = handle:headers()
  local kind = headers:get("content-type")
  if kind and kind:find("^text/html") and headers:get(":status") == "200" then
    headers:replace(":status", "404")
    headers:replace("cache-control", "no-store")
  end
end
