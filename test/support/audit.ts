/**
 * What a page must hold to be used by everybody, checked in the browser on what is there: names of
 * controls, order of headings, contrast by computed colours, no sideways scroll. It is a text, since
 * it runs in the page.
 */
export const AUDIT = `(() => {
  const problems = [];
  const seen = (e) => e.checkVisibility({ opacityProperty: false, visibilityProperty: true });
  const where = (e) => e.tagName.toLowerCase() + (e.className?.baseVal ?? e.className ? '.' + String(e.className?.baseVal ?? e.className).split(' ')[0] : '') + ' "' + (e.textContent ?? '').trim().slice(0, 40) + '"';
  const text = (e) => (e?.innerText ?? e?.textContent ?? '').trim();
  const nameOf = (e) =>
    e.getAttribute('aria-label')?.trim() ||
    (e.getAttribute('aria-labelledby') ?? '').split(/\\s+/).map((id) => text(document.getElementById(id))).join(' ').trim() ||
    [...(e.labels ?? [])].map((l) => (l.textContent ?? '').trim()).join(' ').trim() ||
    (/^(BUTTON|A|SUMMARY|OPTION)$/.test(e.tagName) ? (e.textContent ?? '').trim() : '') ||
    e.getAttribute('title')?.trim() || '';
  for (const e of document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')) {
    if (seen(e) && !nameOf(e)) problems.push('no name: ' + where(e));
  }
  for (const e of document.querySelectorAll('svg')) {
    const isNamed = e.getAttribute('role') === 'img' && e.getAttribute('aria-label');
    if (!isNamed && !e.closest('[aria-hidden="true"]')) problems.push('unnamed picture: ' + where(e.parentElement));
  }
  for (const e of document.querySelectorAll('.canvas, .figure svg[role=img]')) {
    if (seen(e) && !e.closest('figure, section.card')?.querySelector('table, details.as-table > summary')) problems.push('chart without a table: ' + e.getAttribute('aria-label'));
  }
  for (const name of ['header', 'nav', 'main', 'footer']) {
    if (document.querySelectorAll('#root > ' + name + ', #root > header > ' + name).length !== 1) problems.push('landmark ' + name);
  }
  const headings = [...document.querySelectorAll('h1, h2, h3, h4')].filter(seen).map((e) => Number(e.tagName[1]));
  if (headings.filter((level) => level === 1).length !== 1) problems.push('h1: ' + headings.join(' '));
  headings.forEach((level, i) => {
    if (i > 0 && level > headings[i - 1] + 1) problems.push('heading skips a level: ' + headings.join(' '));
  });
  for (const e of document.querySelectorAll('th')) if (!e.scope) problems.push('th without scope: ' + where(e));
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) problems.push('id twice: ' + id);
  for (const e of document.querySelectorAll('[aria-describedby], [aria-labelledby]')) {
    for (const id of ((e.getAttribute('aria-describedby') ?? '') + ' ' + (e.getAttribute('aria-labelledby') ?? '')).split(/\\s+/).filter(Boolean)) {
      if (!document.getElementById(id)) problems.push('points nowhere: ' + id);
    }
  }
  const width = document.documentElement.scrollWidth;
  if (width > window.innerWidth) problems.push('scrolls sideways: ' + width + ' > ' + window.innerWidth);

  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((c, i) => c * a + under[i] * (1 - a)).concat(1);
  const behind = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255, 1]);
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const checked = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || checked.has(e) || !seen(e) || e.closest('noscript, script, style, :disabled, .hidden, option, .toast')) continue;
    checked.add(e);
    const style = getComputedStyle(e);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const under = behind(e);
    const ink = over(rgba(e.namespaceURI.endsWith('svg') ? style.fill : style.color), under);
    const [a, b] = [light(ink), light(under)].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    count++;
    if (contrast < (isLarge ? 3 : 4.5)) problems.push('contrast ' + contrast.toFixed(2) + ': ' + where(e));
  }
  if (count < 5) problems.push('only ' + count + ' texts were looked at');
  return [...new Set(problems)];
})()`;

/** What is wrong with the element that has the focus: nothing marks it, or it cannot be seen; else "". */
export const FOCUS = `(() => {
  const e = document.activeElement;
  if (!e || e === document.body) return '';
  const name = e.tagName.toLowerCase() + ' "' + (e.getAttribute('aria-label') ?? e.textContent ?? '').trim().slice(0, 40) + '"';
  const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(e);
  const isMarked = (outlineStyle !== 'none' && parseFloat(outlineWidth) > 0) || boxShadow !== 'none';
  if (!isMarked) return 'nothing marks ' + name;
  const { top, bottom, left, right, width, height } = e.getBoundingClientRect();
  if (width === 0 || height === 0) return 'no size: ' + name;
  const isInSight = bottom > 0 && top < window.innerHeight && right > 0 && left < window.innerWidth;
  return isInSight ? '' : 'out of sight: ' + name;
})()`;
