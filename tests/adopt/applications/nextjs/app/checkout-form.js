export default function CheckoutForm() {
  return <p>lazily loaded</p>;
}
