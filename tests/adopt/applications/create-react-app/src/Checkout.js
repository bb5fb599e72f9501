export default function Checkout() {
  return <p>lazily loaded</p>;
}
