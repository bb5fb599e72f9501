export const dynamic = "force-dynamic";

/** One event, and then the answer ends. */
export function GET() {
  const headers = { "content-type": "text/event-stream" };
  return new Response(`retry: 60000\ndata: ${process.env.NEXT_DEPLOYMENT_ID}\n\n`, { headers });
}
