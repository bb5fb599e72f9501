import { Suspense, lazy, useState } from 'react';
import { createRoot } from 'react-dom/client';
import './style.css';

const Checkout = lazy(() => import('./Checkout'));

function Shop() {
  const [isCheckingOut, checkOut] = useState(false);
  return isCheckingOut
    ? <Suspense fallback="…"><Checkout /></Suspense>
    : <button onClick={() => checkOut(true)}>Check out</button>;
}

createRoot(document.querySelector('#root')).render(<Shop />);
