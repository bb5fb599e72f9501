export function checkOut() {
  document.title = 'lazily loaded';
}
