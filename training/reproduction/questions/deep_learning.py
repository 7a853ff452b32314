"""Linked Education's document: written questions and what it asks to observe."""

from training.reproduction.course import Question, Text

QUESTIONS = (
    Question(
        Text("Dropout", "Dropout"),
        Text(
            "Why are the weights scaled down by the dropout rate after the training?",
            "Porque são os pesos reduzidos na proporção do dropout depois do treino?",
        ),
        Text(
            "In training a unit is present with probability 1 − rate, so the next layer receives that share of its "
            "input on average. Afterwards all units are present, and weights times 1 − rate keep the expected input "
            "the same. Keras divides by 1 − rate during training instead, and its rate is the share that is dropped; "
            "some implementations take the share that is kept.",
            "No treino uma unidade está presente com probabilidade 1 − taxa, pelo que a camada seguinte recebe em "
            "média essa fração da sua entrada. Depois estão todas presentes, e multiplicar os pesos por 1 − taxa "
            "mantém o valor esperado da entrada. O Keras, em vez disso, divide por 1 − taxa durante o treino, e a sua "
            "taxa é a fração eliminada; algumas implementações usam a fração mantida.",
        ),
        shown_by=("regularisation",),
    ),
    Question(
        Text("Dropout", "Dropout"),
        Text(
            "Can dropout be applied to convolutions and to the input, too?",
            "Pode o dropout aplicar-se também a convoluções e ao input?",
        ),
        Text(
            "Yes. On convolutions whole maps are dropped, because neighbouring values of a map are alike; on the "
            "input single pixels are. The study measures dropout on the hidden layers and on the input apart.",
            "Sim. Nas convoluções eliminam-se mapas inteiros, porque os valores vizinhos de um mapa são parecidos; no "
            "input eliminam-se píxeis. O estudo mede separadamente o dropout nas camadas escondidas e no input.",
        ),
        shown_by=("regularisation", "cifar10_residual"),
    ),
    Question(
        Text("L1 and L2", "L1 e L2"),
        Text(
            "Why does L1 give sparse weights and L2 not?",
            "Porque gera a L1 esparsidade e a L2 não?",
        ),
        Text(
            "L1 pulls each weight with the same force, however small it is, until it is 0. The pull of L2, the "
            "derivative of the square, shrinks with the weight, so small weights stay small and do not vanish. The "
            "study counts the weights below 0.001; a single run of its nets (seed 2) had 61 % of them with L1 (1e-4), "
            "19 % with L2 (1e-3) and 2 % without either.",
            "A L1 puxa cada peso com a mesma força, por menor que ele seja, até chegar a 0. A força da L2, a derivada "
            "do quadrado, diminui com o peso, pelo que os pesos pequenos ficam pequenos mas não desaparecem. O estudo "
            "conta os pesos abaixo de 0,001; uma só execução das suas redes (semente 2) teve 61 % deles com L1 "
            "(1e-4), 19 % com L2 (1e-3) e 2 % sem nenhuma.",
        ),
        shown_by=("regularisation",),
    ),
    Question(
        Text("Transfer", "Transferência"),
        Text(
            "How well do the training pictures Xtn[0] = O and Xtn[12] = X fit after 100 epochs and after 200?",
            "Como é o ajuste de Xtn[0] = O e Xtn[12] = X após 100 épocas e após 200?",
        ),
        Text(
            "After 100 epochs the probability of the right class is {ten_pictures:Xtn[0] = O, 100 epochs} and "
            "{ten_pictures:Xtn[12] = X, 100 epochs}, after 200 it is {ten_pictures:Xtn[0] = O, 200 epochs} and "
            "{ten_pictures:Xtn[12] = X, 200 epochs}, rounded to four places: both fit after 100 epochs already. The "
            "study repeats the document's setting, ten pictures a class.",
            "Após 100 épocas a probabilidade da classe certa é {ten_pictures:Xtn[0] = O, 100 epochs} e "
            "{ten_pictures:Xtn[12] = X, 100 epochs}, após 200 é {ten_pictures:Xtn[0] = O, 200 epochs} e "
            "{ten_pictures:Xtn[12] = X, 200 epochs}, arredondada a quatro casas: ambas se ajustam já após 100 épocas. "
            "O estudo repete o cenário do documento, dez imagens por classe.",
        ),
        shown_by=("ten_pictures",),
    ),
    Question(
        Text("Transfer", "Transferência"),
        Text(
            "How powerful is a training with ten pictures a class that starts from MobileNet?",
            "Qual é o poder de um treino com dez imagens por classe que parte da MobileNet?",
        ),
        Text(
            "It reaches a test accuracy of {transfer:transfer, 10 a class} on 400 generated drawings, against "
            "{transfer:from scratch, 10 a class} from scratch (mean of three draws).",
            "Atinge uma exatidão de {transfer:transfer, 10 a class} em 400 desenhos gerados, contra {transfer:from "
            "scratch, 10 a class} de raiz (média de três sorteios).",
        ),
        shown_by=("transfer", "ten_pictures"),
    ),
    Question(
        Text("Transfer", "Transferência"),
        Text(
            "Who will enlarge the data set and the test set?",
            "Quem se habilita a aumentar o dataset e o dataset de testes?",
        ),
        Text(
            "Generated drawings do: 3,000 a class for the net from scratch and 1,500 for the transfer, each tested on "
            "800 others. Drawings by other people are only measured.",
            "Desenhos gerados: 3000 por classe para a rede de raiz e 1500 para a transferência, cada uma testada "
            "noutros 800. Desenhos de outras pessoas são apenas medidos.",
        ),
        shown_by=("xo_cnn", "xo_mobilenet"),
    ),
    Question(
        Text("Transfer", "Transferência"),
        Text(
            "Do the results allow a comparison of transfer and a net from scratch?",
            "Permitem os resultados comparar a transferência com a rede de raiz?",
        ),
        Text(
            "Not with ten pictures a class and few test pictures, as the document says. The study compares both with "
            "10 to 200 pictures a class, three draws each: transfer is ahead with few pictures, and the lead vanishes "
            "with more.",
            "Não com dez imagens por classe e poucas de teste, como diz o documento. O estudo compara ambas com 10 a "
            "200 imagens por classe, três sorteios de cada: a transferência está à frente com poucas imagens, e a "
            "vantagem desaparece com mais.",
        ),
        shown_by=("transfer",),
    ),
    Question(
        Text("Recurrent nets", "Redes recorrentes"),
        Text(
            "What is the advantage of sharing parameters?",
            "Qual é a vantagem de partilhar parâmetros?",
        ),
        Text(
            "The same weights serve every position, so their number does not grow with the length, the net takes "
            "lengths that it has not seen, and what it learned at one position holds at all others. The sine's cell "
            "has 3 parameters for sequences of any length.",
            "Os mesmos pesos servem todas as posições: o seu número não cresce com o comprimento, a rede aceita "
            "comprimentos que não viu, e o que aprendeu numa posição vale em todas as outras. A célula do seno tem 3 "
            "parâmetros para sequências de qualquer comprimento.",
        ),
        shown_by=("sine_rnn",),
    ),
    Question(
        Text("Recurrent nets", "Redes recorrentes"),
        Text(
            "How does a 1-D convolution differ from a recurrent net?",
            "Qual é a diferença entre uma convolução 1-D e uma rede recorrente?",
        ),
        Text(
            "Both share parameters over time. An output of a convolution depends on a few neighbouring inputs: the "
            "sharing is shallow. A recurrent state depends on the state before it, by the same rule at each step, and "
            "so on all earlier inputs: the sharing runs through a very deep graph.",
            "Ambas partilham parâmetros ao longo do tempo. Uma saída da convolução depende de poucas entradas "
            "vizinhas: a partilha é rasa. Um estado recorrente depende do estado anterior, pela mesma regra em cada "
            "passo, e assim de todas as entradas anteriores: a partilha atravessa um grafo muito profundo.",
        ),
        shown_by=("sine_forecaster", "sine_rnn"),
    ),
    Question(
        Text("Recurrent nets", "Redes recorrentes"),
        Text(
            "Why recurrent nets for sequences, when feed-forward nets exist?",
            "Porque precisamos de redes recorrentes para sequências, se já temos as feed-forward?",
        ),
        Text(
            "A feed-forward net takes a fixed number of inputs, has separate weights for each position and no memory. "
            "A recurrent net carries a state through a sequence of any length and applies one rule at each step. For "
            "windows of a fixed length a feed-forward net does work.",
            "Uma rede feed-forward recebe um número fixo de entradas, tem pesos próprios para cada posição e não tem "
            "memória. Uma rede recorrente leva um estado ao longo de uma sequência de qualquer comprimento e aplica a "
            "mesma regra em cada passo. Para janelas de comprimento fixo, uma rede feed-forward também serve.",
        ),
        shown_by=("compound_interest", "sine_rnn"),
    ),
    Question(
        Text("Notebook senoid_rnn", "Notebook senoid_rnn"),
        Text(
            "What do the weights mean, and do they give the same predictions for [sin 0.31] and [sin 0.31, sin 0.62] "
            "by hand?",
            "O que significam os pesos, e dão à mão as mesmas predições para [sen 0,31] e [sen 0,31, sen 0,62]?",
        ),
        Text(
            "They are the input weight W_i, the state weight W_s and the bias b of s_t = x_t·W_i + s_{t−1}·W_s + b "
            "with s_0 = 0. So the first prediction is sin 0.31·W_i + b, the second sin 0.62·W_i + (sin 0.31·W_i + "
            "b)·W_s + b. Both equal the model's: the largest difference is {sine_rnn:by_hand_difference}.",
            "São o peso da entrada W_i, o peso do estado W_s e o viés b de s_t = x_t·W_i + s_{t−1}·W_s + b, com s_0 = "
            "0. A primeira predição é sen 0,31·W_i + b, a segunda sen 0,62·W_i + (sen 0,31·W_i + b)·W_s + b. Ambas "
            "coincidem com as do modelo: a maior diferença é {sine_rnn:by_hand_difference}.",
        ),
        shown_by=("sine_rnn",),
    ),
    Question(
        Text("Notebook stock_rnn", "Notebook stock_rnn"),
        Text(
            "Why is a layer Dense(1) needed after the four cells?",
            "Porque houve necessidade de uma camada Dense(1) depois das quatro células?",
        ),
        Text(
            "Four cells answer with four values, the state, and the price is one. The dense layer combines them, and "
            "without an activation it can give any number.",
            "Quatro células respondem com quatro valores, o estado, e o preço é um só. A camada densa combina-os e, "
            "sem ativação, pode dar qualquer número.",
        ),
        shown_by=("stock_rnn",),
    ),
    Question(
        Text("Notebook stock_rnn", "Notebook stock_rnn"),
        Text(
            "What do the summary and the weights show?",
            "O que mostram o summary e os pesos?",
        ),
        Text(
            "24 parameters of the SimpleRNN: 1×4 from the input, 4×4 from state to state, 4 biases. And 5 of the "
            "dense layer: 4×1 and a bias. The window of ten prices does not count, because each step uses the same "
            "weights.",
            "24 parâmetros da SimpleRNN: 1×4 da entrada, 4×4 de estado para estado, 4 vieses. E 5 da camada densa: "
            "4×1 e um viés. A janela de dez preços não conta, porque cada passo usa os mesmos pesos.",
        ),
        shown_by=("stock_rnn",),
    ),
    Question(
        Text("Notebook stock_rnn", "Notebook stock_rnn"),
        Text(
            "How good is the model on a split into training and test part?",
            "Quão bom é o modelo com uma divisão em treino e teste?",
        ),
        Text(
            "The split is by time, since a random one would show the net the days around each test day. The mean "
            "absolute error on the test part is {stock_rnn:test_mae} USD; “tomorrow equals today” has "
            "{stock_rnn:naive_mae} USD.",
            "A divisão é temporal, já que uma aleatória mostraria à rede os dias em redor de cada dia de teste. O "
            "erro absoluto médio no teste é {stock_rnn:test_mae} USD; «amanhã é igual a hoje» tem "
            "{stock_rnn:naive_mae} USD.",
        ),
        shown_by=("stock_rnn",),
    ),
    Question(
        Text("Notebook stock_rnn", "Notebook stock_rnn"),
        Text(
            "Can the model be improved?",
            "Pode melhorar-se o modelo?",
        ),
        Text(
            "Returns instead of prices and a gated cell bring the error to {stock_forecaster:test_mae} USD, beside "
            "{stock_forecaster:naive_mae} USD of “tomorrow equals today”. Little more can be expected, since prices "
            "follow nearly a random walk.",
            "Retornos em vez de preços e uma célula com portas levam o erro a {stock_forecaster:test_mae} USD, ao "
            "lado de {stock_forecaster:naive_mae} USD de «amanhã é igual a hoje». Pouco mais se pode esperar, porque "
            "os preços seguem quase um passeio aleatório.",
        ),
        shown_by=("stock_forecaster",),
    ),
)
