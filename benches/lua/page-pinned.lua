-- A navigation of a visitor with a pin cookie, which is rewritten if it names another release.
function envoy_on_request(handle)
  local headers = handle:headers()
  if not is_ours(headers) then return end
  headers:replace("x-release", current)
  if is_pinned(headers) and is_navigation(headers) then
    headers:remove("if-none-match")
    headers:remove("if-modified-since")
    keep(handle, "page")
    if pin_of(headers) ~= "2.0.0" then keep(handle, "moved") end
  end
end

function envoy_on_response(handle)
  local decided = kept(handle)
  if not decided.page then return end
  local headers = handle:headers()
  headers:replace("cache-control", "private, no-cache")
  if decided.moved then
    headers:add("set-cookie", "__Host-release=2.0.0; Path=/; SameSite=Lax; Secure; HttpOnly")
  end
end
