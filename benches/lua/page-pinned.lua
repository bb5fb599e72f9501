-- A navigation of a visitor with a pin cookie, which is written again where it names another release.
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

function envoy_on_request(handle)
  local headers = handle:headers()
  if not is_ours(headers) then return end
  headers:replace("x-release", current)
  if is_pinned(headers) and is_navigation(headers) then
    headers:remove("if-none-match")
    headers:remove("if-modified-since")
    if pin_of(headers) ~= "2.0.0" then keep(handle, "moved") end
  end
end

function envoy_on_response(handle)
  if not kept(handle).moved then return end
  local headers = handle:headers()
  headers:replace("cache-control", "private, no-cache")
  headers:add("set-cookie", "__Host-release=2.0.0; Path=/; SameSite=Lax; Secure; HttpOnly")
end
