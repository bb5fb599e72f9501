import "./orders.css";

export function Component() {
  return <p id="orders-of">{SHOP_VERSION}</p>;
}
