// From a path to the object of the site that answers it.
//
// The edge cannot look whether a file exists, so the rules are by name. Publishers hold to them: each document is stored
// under every name it answers to (`/a.html` also as `/a`), but for those that end in a slash, which are `index.html` here.

import { anyCovers } from '../core/pattern.js';
import { lower } from '../core/text.js';

// 7z, aac, apk, atom, avi and so on, folded.
const ASSET =
  /\.(7z|a(ac|pk|tom|vif?)|b(in|mp|r|z2)|c(js|s[sv]|ur)|d(ata|eb|mg|ocx?)|e(ot|pub|xe)|flac|g(eojson|if|l(b|tf)|z)|heic|i(c[os]|so)|j(ar|p(eg|g)|s(on(ld)?|x)?|xl)|less|m(4[av]|ap|d|js|ov|p([34g]|eg)|si)|o(g[agv]|pus|tf)|p(df|ng|ptx?)|r(ar|ss)|s(css|vg)|t(ar|gz|iff?|sx?|tf|xt)|vtt|w(a(sm|v)|eb(m(anifest)?|p)|off2?)|x([ms]l|lsx?)|y(aml|ml)|z(ip|st))$/;

// Whether a path asks for an asset rather than for a page.
function looksLikeAsset(path) {
  return ASSET.test(lower(path));
}

// The path of the file in its release; empty where no site has one. `page`: a person waits for a page.
export function fileOf(path, page, site) {
  // Hidden files are never published, and who asks for `/.env` must not take a page for one.
  if (!site || /\/\.(?!well-known(\/|$))/.test(path)) return '';
  return page && site.fallback && !/\.html?$/.test(path) && !looksLikeAsset(path) && !anyCovers(site.pages, path)
    ? site.fallback
    : path + (/\/$/.test(path) ? 'index.html' : '');
}
