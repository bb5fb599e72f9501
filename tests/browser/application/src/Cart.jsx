import { QueryClient, useQuery } from "@tanstack/react-query";
import { isOutdated } from "skew-guard-client";

export const queries = new QueryClient({
  defaultOptions: { queries: { retry: (count, error) => !isOutdated(error) && count < 3 } },
});

async function cart() {
  const response = await fetch("/api/cart");
  if (!response.ok) throw new Error(`the cart answered ${response.status}`, { cause: response });
  return response.json();
}

export function Cart() {
  const { data, error } = useQuery({ queryKey: ["cart"], queryFn: cart });
  return <p id="cart">{error?.message ?? data?.release}</p>;
}
