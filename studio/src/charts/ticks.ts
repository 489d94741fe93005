/** Round values that span low to high. */
export function ticks(low: number, high: number, wanted: number): number[] {
  const span = high - low || Math.abs(high) * 0.1 || 1;
  const raw = span / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * (1 - 1e-9))!;
  const start = Math.floor(low / step + 1e-9);
  const end = Math.max(start + 1, Math.ceil(high / step - 1e-9));
  return Array.from({ length: end - start + 1 }, (_, i) =>
    Number(((start + i) * step).toFixed(10)),
  );
}

/** Labels of marks, with more digits where what is usually enough would call two of them the same. */
export function distinct(marks: readonly number[], format: (mark: number) => string): string[] {
  const labels = marks.map(format);
  for (let digits = 4; digits <= 12 && new Set(labels).size < marks.length; digits++) {
    marks.forEach((mark, i) => {
      const isShare = format(mark).endsWith('%');
      const text = String(Number((isShare ? mark * 100 : mark).toPrecision(digits)));
      labels[i] = isShare ? `${text}%` : text;
    });
  }
  return labels;
}
