import { describe, expect, test } from "bun:test";
