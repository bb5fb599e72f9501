document.body.innerHTML = '<button>Check out</button>';
document.querySelector('button').addEventListener('click', async () => {
  const { checkOut } = await import('./checkout.js');
  checkOut();
});
