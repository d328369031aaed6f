export const ASSETS: string;
export const inlineAssets: { name: string; load(id: string): Promise<string | undefined> };
