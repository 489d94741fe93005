/**
 * Which linear layers stay in float32 when a search runs in int8. The inputs of the feed-forward's
 * second matrix have outliers that one 8-bit scale for a whole tensor cannot hold; measured figures
 * stand in docs/performance.md.
 */
export function searchKeepsFloat(name: string): boolean {
  return name.endsWith('.down');
}
