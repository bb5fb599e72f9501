import Link from "next/link";
import { Order } from "./order.jsx";

export const dynamic = "force-dynamic";

export default function Cart() {
  return (
    <>
      <b id="page">{process.env.NEXT_DEPLOYMENT_ID}</b>
      <Link href="/cart?step=3" prefetch={false}>
        Pay
      </Link>
      <Order />
    </>
  );
}
