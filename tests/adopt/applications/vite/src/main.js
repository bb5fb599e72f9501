import './style.css';

document.querySelector('button').addEventListener('click', async () => {
  const { checkOut } = await import('./checkout.js');
  checkOut();
});
