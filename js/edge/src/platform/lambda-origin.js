// Lambda@Edge for origin requests alone, beside CloudFront Functions on the viewer's events.

import { outage } from '../edge/pages.js';
import { answer } from './lambda-events.js';
import { originRequest } from './lambda-origin-request.js';

const settings = CUTOVER_SETTINGS;

export async function handler(event) {
  try {
    return originRequest(event.Records[0].cf.request, settings);
  } catch (error) {
    console.log(`cutover: ${error}`);
    return answer(outage(false, settings), settings);
  }
}
