"use client";

export default function CartError({ error }) {
  return <p role="alert">{error.message}</p>;
}
