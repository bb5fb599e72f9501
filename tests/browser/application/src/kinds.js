// Every way in which a page makes a request. Each returns when the request has been sent.
import * as client from "skew-guard-client";

const { versioned } = client;
window.client = client;

const at = (name) => `/api/kind/${name}`;
const heard = (target, ...events) =>
  new Promise((resolve) => events.forEach((event) => target.addEventListener(event, resolve)));

function add(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return document.body.appendChild(template.content.firstElementChild);
}

function load(html) {
  const element = add(html);
  return heard(element, "load", "error");
}

/** A form whose answer goes to a frame, so that the page stays. */
function form(action, button = "") {
  const name = `frame-${Math.random()}`;
  const frame = add(`<iframe name="${name}"></iframe>`);
  const element = add(`<form method="post" action="${action}" target="${name}"><input name="item" value="Lamp">${button}</form>`);
  return { element, answered: heard(frame, "load") };
}

window.kinds = {
  "fetch": () => fetch(at("fetch")),
  "fetch of a Request": () => fetch(new Request(at("request"), { method: "POST", body: "Lamp" })),
  "XMLHttpRequest": () => {
    const request = new XMLHttpRequest();
    request.open("GET", at("xhr"));
    request.send();
    return heard(request, "loadend");
  },
  "WebSocket": () => heard(new WebSocket(`ws://${location.host}${at("websocket")}`), "message", "error"),
  "EventSource": () => heard(new EventSource(at("eventsource")), "message", "error"),
  "sendBeacon": () => navigator.sendBeacon(at("beacon"), "Lamp"),
  "a chunk and its style sheet": () => import("./part.js").catch(() => {}),
  "a worker and its fetch": () =>
    heard(new Worker(new URL("./worker.js", import.meta.url), { type: "module" }), "message", "error"),
  "a form by its button": () => {
    const { element, answered } = form(at("form"), "<button></button>");
    element.querySelector("button").click();
    return answered;
  },
  "a form by submit()": () => {
    const { element, answered } = form(at("submit"));
    element.submit();
    return answered;
  },
  "a form by requestSubmit() and formaction": () => {
    const { element, answered } = form("/api/nowhere", `<button formaction="${at("formaction")}"></button>`);
    element.requestSubmit(element.querySelector("button"));
    return answered;
  },
  "an image of the API": () => load(`<img src="${versioned(at("image"))}">`),
  "a frame of the API": () => load(`<iframe src="${versioned(at("frame"))}"></iframe>`),
  "a download": () => add(`<a href="${versioned(at("download"))}" download="cart.csv">cart</a>`).click(),
  "a file of public/": () => load(`<img src="${versioned("/logo.svg")}">`),
};
