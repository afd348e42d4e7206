// Clients that are nobody's visit. Only asked of navigations without a pin.

import { lower } from './text.js';

const NAMES =
  /bingpreview|crawler|embedly|facebookexternalhit|pingdom|spider|slurp|skypeuripreview|statuscake|site24x7|uptime|whatsapp\/|(^|[^u]|^u|[^c]u)bot(?![a-z0-9])/;
const TOOLS =
  /^(curl|wget|python(-requests|-urllib|-httpx)?|go-http-client|java|apache-httpclient|apachebench|libwww-perl|node-fetch|axios|httpie|postmanruntime|k6)\//;

// True where `User-Agent` names a known bot, or a tool that does not play a browser.
export function isBot(q) {
  const agent = lower(q.headerValue('user-agent'));
  return NAMES.test(agent) || (q.headerValue('sec-fetch-dest') === undefined && TOOLS.test(agent));
}
