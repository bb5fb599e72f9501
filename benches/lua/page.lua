-- A navigation: to current whatever it carries, and never answered from a cache of another release.
function envoy_on_request(handle)
  local headers = handle:headers()
  if not is_ours(headers) then return end
  headers:replace("x-release", current)
  if is_pinned(headers) and is_navigation(headers) then
    headers:remove("if-none-match")
    headers:remove("if-modified-since")
  end
end
