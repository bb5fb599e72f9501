"use server";

export async function order(_, form) {
  return `${form.get("note")}, ordered from ${process.env.NEXT_DEPLOYMENT_ID}`;
}
