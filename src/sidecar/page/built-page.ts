import { bundlePage, type PageFile } from "./bundle-page.ts" with { type: "macro" };

export const builtPage: readonly PageFile[] = bundlePage();
