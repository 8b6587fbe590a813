/** One look at the operator's own metrics. */
export interface Scrape {
  /** The sum over all series of this name whose labels, as printed, match. */
  sum(name: string, labels?: RegExp): number;
}

export async function scrape(operator: { ports(): Promise<{ readonly metrics: number }> }): Promise<Scrape> {
  const { metrics } = await operator.ports();
  const text = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
  return {
    sum(name, labels = /^/) {
      const series = text.matchAll(new RegExp(`^${name}(\\{[^}]*\\})? (\\S+)`, 'gm'));
      return [...series].reduce((sum, [, shown = '', value]) => sum + (labels.test(shown) ? Number(value) : 0), 0);
    },
  };
}
