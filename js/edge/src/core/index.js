// The decision core: what every edge shares, pure, in the language that CloudFront Functions speak.

export { actionOf, decide } from './decide.js';
export { classify } from './classify.js';
export { cookieIn, pinName } from './cookies.js';
export { normalisePath, encodePath } from './path.js';
export { covers } from './pattern.js';
export { parsePin, formatPin } from './pin.js';
export { readTable, trustTable, writeTable, target } from './table.js';
export { bucketOf, fnv1a32 } from './text.js';
export { lasts, signToken, verifyToken } from './token.js';
