/**
 * Sequences that begin alike as one tree of tokens: what several share is computed once. A node sees
 * the prefix, the nodes on the way to it, and itself.
 *
 * Source: tree attention as in SpecInfer, arXiv 2305.09781, section 4.2.
 */

export interface TokenTree {
  /** A token a node; parents come before their children. */
  readonly ids: readonly number[];
  /** Index of the node before, −1 for the first token. */
  readonly parents: readonly number[];
  /** Number of nodes before, on the way to it. */
  readonly depths: readonly number[];
  /** The last node of each sequence. */
  readonly ends: readonly number[];
}

/** The tree of sequences, none of them empty. */
export function tokenTree(sequences: readonly (readonly number[])[]): TokenTree {
  const builder = new Builder();
  const ends = sequences.map((sequence) => builder.add(sequence));
  const { ids, parents, depths } = builder;
  return { ids, parents, depths, ends };
}

/**
 * Divides sequences into groups whose trees have at most `most` nodes (or hold one sequence), those
 * that begin alike together. Groups are lists of indices.
 */
export function groupByTree(sequences: readonly (readonly number[])[], most: number): number[][] {
  const order = sequences.map((_, i) => i).sort((a, b) => compare(sequences[a]!, sequences[b]!));
  const groups: number[][] = [];
  let builder = new Builder();
  for (const i of order) {
    const group = groups.at(-1);
    if (group && builder.ids.length + builder.missing(sequences[i]!) <= most) group.push(i);
    else {
      groups.push([i]);
      builder = new Builder();
    }
    builder.add(sequences[i]!);
  }
  return groups;
}

class Builder {
  readonly ids: number[] = [];
  readonly parents: number[] = [];
  readonly depths: number[] = [];
  private readonly children: Map<number, number>[] = [new Map()];

  /** Adds what is not there yet; the node that the sequence ends in. */
  add(sequence: readonly number[]): number {
    let at = -1;
    sequence.forEach((id, depth) => {
      const known = this.children[at + 1]!.get(id);
      if (known === undefined) {
        const node = this.ids.push(id) - 1;
        this.parents.push(at);
        this.depths.push(depth);
        this.children.push(new Map());
        this.children[at + 1]!.set(id, node);
        at = node;
      } else at = known;
    });
    return at;
  }

  /** Number of nodes that adding would make. */
  missing(sequence: readonly number[]): number {
    let at = -1;
    for (const [depth, id] of sequence.entries()) {
      const known = this.children[at + 1]!.get(id);
      if (known === undefined) return sequence.length - depth;
      at = known;
    }
    return 0;
  }
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((id, i) => id !== b[i]);
  if (at < 0) return a.length - b.length;
  return a[at]! - (b[at] ?? -1);
}
