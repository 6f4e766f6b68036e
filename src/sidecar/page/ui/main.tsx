import { render } from "preact";
import { App } from "./app.tsx";
import { PageContext, PageState } from "./page-state.ts";
import { applyTheme } from "./theme.tsx";

const place = document.querySelector("#page");
if (place !== null) {
  applyTheme();
  place.replaceChildren();
  render(
    <PageContext.Provider value={new PageState(sessionStorage)}>
      <App />
    </PageContext.Provider>,
    place,
  );
}
