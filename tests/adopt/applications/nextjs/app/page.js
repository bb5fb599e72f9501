'use client';

import dynamic from 'next/dynamic';
import { useState } from 'react';

const Checkout = dynamic(() => import('./checkout-form'), { ssr: false });

export default function Shop() {
  const [isCheckingOut, checkOut] = useState(false);
  return isCheckingOut ? <Checkout /> : <button onClick={() => checkOut(true)}>Check out</button>;
}
