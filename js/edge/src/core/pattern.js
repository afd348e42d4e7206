// Path patterns: `*` stands for any run of characters, and `/api/*` covers `/api` as well.

// True where the pattern covers the normal path.
export function covers(pattern, path) {
  return (/\/\*$/.test(pattern) && glob(pattern.slice(0, -2), path)) || glob(pattern, path);
}

// True where one of the patterns covers the path.
export function anyCovers(patterns, path) {
  return !!patterns && patterns.some((pattern) => covers(pattern, path));
}

// The parts between wildcards, found one after the other: the first at the start, the last at the end, the others as early
// as they come.
function glob(pattern, path) {
  const parts = pattern.split('*');
  let at = 0;
  return (
    parts.every((part, index) => {
      const found = index && index === parts.length - 1 ? path.length - part.length : path.indexOf(part, at);
      const fits = found >= at && (index || !found) && path.slice(found, found + part.length) === part;
      at = found + part.length;
      return fits;
    }) && at === path.length
  );
}
