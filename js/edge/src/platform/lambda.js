// Lambda@Edge for viewer-request, origin-request and viewer-response: one function, told by its event what to do. The table
// is in SSM.

import { outage } from '../edge/pages.js';
import { routeReserved } from '../edge/reserved.js';
import { route } from '../edge/route.js';
import { answer, changeRequest, dressResponse, readRequest } from './lambda-events.js';
import { originRequest } from './lambda-origin-request.js';
import { parameterReader } from './ssm.js';
import { createState } from './state.js';

const settings = CUTOVER_SETTINGS;
const state = createState({ read: parameterReader(settings.ssm), fallback: settings.fallback });

export async function handler(event) {
  const cf = event.Records[0].cf;
  const type = cf.config.eventType;
  try {
    if (type === 'viewer-request') return await viewerRequest(cf);
    if (type === 'origin-request') return originRequest(cf.request, settings);
    if (type === 'viewer-response') return dressResponse(cf.request, cf.response, settings);
    return cf.response ?? cf.request;
  } catch (error) {
    console.log(`cutover: ${type}: ${error}`);
    return cf.response ?? answer(outage(true, settings), settings);
  }
}

async function viewerRequest(cf) {
  const { table, keys } = await state();
  const said = route(readRequest(cf, settings), table, keys, settings, routeReserved);
  return said.newUri ? changeRequest(cf.request, said) : answer(said, settings);
}
