-- A call of the API that the pin cookie decides.
function envoy_on_request(handle)
  local headers = handle:headers()
  if not is_ours(headers) then return end
  if not is_pinned(headers) then return headers:replace("x-release", current) end
  local version = headers:get("x-bundle-version") or pin_of(headers)
  headers:replace("x-release", version and routes[version] or current)
  headers:remove("if-none-match")
  headers:remove("if-modified-since")
  keep(handle, "pinned")
end

function envoy_on_response(handle)
  if not kept(handle).pinned then return end
  local headers = handle:headers()
  local vary = headers:get("vary")
  if not vary or not vary:find("x-bundle-version", 1, true) then headers:add("vary", "x-bundle-version") end
  headers:replace("cache-control", "private, no-cache")
end
