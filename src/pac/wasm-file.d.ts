// The type of an import `with { type: "file" }`: a path, inside the executable too.
declare module "*.wasm" {
  const path: string;
  export default path;
}
