// GraphiQL over /graphql of this origin: with the session of its reader, or with a token typed under "Headers".
const asked = new URLSearchParams(location.search);
ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: "/graphql" }),
    query: asked.get("query") || undefined,
    variables: asked.get("variables") || undefined,
    shouldPersistHeaders: false,
    isHeadersEditorEnabled: true,
    defaultQuery:
      "# GraphQL of this platform. You ask with your session; without one, type a token under Headers:\n" +
      '# {"Authorization": "Bearer oi_..."}\n\n{ customers(first: 10) { nodes { customerId name } } }\n',
  }),
);
