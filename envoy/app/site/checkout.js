// Built with release __VERSION__.
export async function checkOut(api) {
  const order = await api('/api/order', { method: 'POST', body: 'Lamp, Chair, Table' });
  return `Release ${order.release} took the order.`;
}
