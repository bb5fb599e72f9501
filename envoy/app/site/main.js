// The version that this page was built from: every call says it.
const version = document.querySelector('meta[name="app-version"]').content;
const euros = (cents) => (cents / 100).toLocaleString('en', { style: 'currency', currency: 'EUR' });

async function api(path, options = {}) {
  const headers = { ...options.headers, 'x-bundle-version': version };
  const response = await fetch(path, { ...options, headers });
  const update = response.headers.get('x-client-update');
  if (update) document.querySelector('#status').textContent = `update ${update}`;
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  return response.json();
}

async function showCart() {
  const cart = await api('/api/cart');
  document.querySelector('#cart').innerHTML = cart.items
    .map((item) => `<tr><td>${item.name}</td><td>${euros(item.__COST_FIELD__)}</td></tr>`)
    .join('');
  document.querySelector('#total').textContent =
    euros(cart.items.reduce((sum, item) => sum + item.__COST_FIELD__, 0));
  document.querySelector('#api').textContent = cart.release;
}

// Loaded only when it is needed: long after the page, when its release may be gone.
document.querySelector('#checkout').addEventListener('click', async () => {
  const { checkOut } = await import('./checkout.js');
  document.querySelector('#status').textContent = await checkOut(api);
});

showCart();
setInterval(showCart, 5000);
