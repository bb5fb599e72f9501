"use client";

import { useActionState, useEffect, useState } from "react";
import { order } from "../actions.js";

export function Order() {
  const [answer, action] = useActionState(order, "");
  const [shown, setShown] = useState(false);
  useEffect(() => setShown(true), []);
  return (
    <form action={action} data-shown={shown}>
      <input name="note" />
      <button>Order</button>
      <output>{answer}</output>
    </form>
  );
}
